import { type ComponentType, render } from "preact";
import { language, loadTexts } from "../language";

/** Shows a page once its texts are there. */
export async function mount(Page: ComponentType): Promise<void> {
  document.documentElement.lang = language;
  await loadTexts();
  const place = document.getElementById("app");
  if (place) render(<Page />, place);
}
