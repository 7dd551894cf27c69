export default {
  title: "Console",
};
