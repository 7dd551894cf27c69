import type en from "./en";

export default {
  title: "Consola",
} satisfies typeof en;
