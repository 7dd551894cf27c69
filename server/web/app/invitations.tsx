import { mount } from "./kit/mount";
import { joining } from "./texts/joining";

function Page() {
  return <h1>{joining().title}</h1>;
}

void mount(Page);
