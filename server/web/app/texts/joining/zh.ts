import type en from "./en";

export default {
  title: "邀请",
} satisfies typeof en;
