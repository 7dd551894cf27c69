import type en from "./en";

export default {
  title: "控制台",
} satisfies typeof en;
