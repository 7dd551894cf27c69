import type en from "./en";

export default {
  title: "Einladung",
} satisfies typeof en;
