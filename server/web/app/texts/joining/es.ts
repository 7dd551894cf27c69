import type en from "./en";

export default {
  title: "Invitación",
} satisfies typeof en;
