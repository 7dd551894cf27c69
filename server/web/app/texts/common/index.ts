import { catalog } from "../../language";
import type en from "./en";

export const common = catalog<typeof en>({
  en: () => import("./en"),
  de: () => import("./de"),
  es: () => import("./es"),
  zh: () => import("./zh"),
});
