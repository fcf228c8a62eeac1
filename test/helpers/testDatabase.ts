import { afterAll, beforeAll } from "vitest";
import { createTestDatabase, type TestDatabase } from "./database.ts";

/** A migrated database for this test file, made before its tests and dropped after them. */
export function testDatabase(): TestDatabase {
  let made: TestDatabase | undefined;
  beforeAll(async () => {
    made = await createTestDatabase();
  });
  afterAll(async () => {
    await made?.drop();
  });
  const present = () => {
    if (!made) throw new Error("the test database exists only while tests run");
    return made;
  };
  return {
    get url() {
      return present().url;
    },
    get apiUrl() {
      return present().apiUrl;
    },
    get adminUrl() {
      return present().adminUrl;
    },
    get pool() {
      return present().pool;
    },
    drop: () => present().drop(),
  };
}
