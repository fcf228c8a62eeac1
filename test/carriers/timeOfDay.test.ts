import { expect, test } from "vitest";
import { timeOfDay } from "../../src/carriers/timeOfDay.ts";

test.each([
  ["08:48:00", "08:48:00"],
  ["8:48", "08:48:00"],
  [" 9:45 am ", "09:45:00"],
  ["1:45 PM", "13:45:00"],
  ["12:00 am", "00:00:00"],
  ["12:30 p.m.", "12:30:00"],
  ["23:59:59.999", "23:59:59"],
  ["24:00", null],
  ["12:60", null],
  ["13:00 pm", null],
  ["0:30 am", null],
  ["noon", null],
  ["1230", null],
  ["", null],
  [undefined, null],
])("%j reads %j", (text, time) => {
  expect(timeOfDay(text)).toBe(time);
});
