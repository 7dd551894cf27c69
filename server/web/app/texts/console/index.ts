import { catalog, type Texts } from "../../language";
import type en from "./en";

export const consoleTexts = catalog<Texts<typeof en>>({
  en: () => import("./en"),
  de: () => import("./de"),
  es: () => import("./es"),
  zh: () => import("./zh"),
});
