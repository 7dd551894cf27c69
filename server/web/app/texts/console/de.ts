import type en from "./en";

export default {
  title: "Konsole",
} satisfies typeof en;
