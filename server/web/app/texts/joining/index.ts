import { catalog } from "../../language";
import type en from "./en";

export const joining = catalog<typeof en>({
  en: () => import("./en"),
  de: () => import("./de"),
  es: () => import("./es"),
  zh: () => import("./zh"),
});
