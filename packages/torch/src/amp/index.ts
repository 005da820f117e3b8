export { type AutocastOptions, autocast, isAutocastEnabled, setAutocast } from "./autocast.js";
