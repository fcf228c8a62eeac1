import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readConfig } from "../../src/config.ts";

const ROOT = join(import.meta.dirname, "../..");

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const text = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
const services: Record<string, Service> = parse(text, { merge: true }).services;

test("the compose file has Postgres, worker, API and a mail catcher, each of a named version", () => {
  expect(Object.keys(services)).toEqual(["postgres", "install", "worker", "api", "mail"]);
  for (const { image } of Object.values(services)) expect(image).toMatch(/^[\w./-]+:v?\d+[\w.-]*$/);
  expect(services.postgres?.image).toBe("postgres:18");
});

test("worker and API wait for a healthy Postgres and for the install", () => {
  for (const name of ["worker", "api"])
    expect(services[name]?.depends_on).toEqual({
      postgres: { condition: "service_healthy" },
      install: { condition: "service_completed_successfully" },
    });
});

test("worker and API run our own entry, each its part, with an environment that our config accepts", () => {
  for (const name of ["worker", "api"]) {
    expect(services[name]?.command).toEqual(["node", "src/bin/start.js", "--only", name]);
    const environment = { ...services[name]?.environment };
    if ("JWT_SECRET" in environment) environment.JWT_SECRET = "x".repeat(32);
    const config = readConfig(environment);
    const url = new URL(config.databaseUrl ?? "");
    const { POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB } = services.postgres?.environment ?? {};
    expect([url.hostname, url.username, url.password, url.pathname]).toEqual([
      "postgres",
      POSTGRES_USER,
      POSTGRES_PASSWORD,
      `/${POSTGRES_DB}`,
    ]);
    expect(new URL(config.notifications.email?.smtpUrl.reveal() ?? "").hostname).toBe("mail");
  }
});

test("nothing is published beyond this machine, and no JWT secret is written down", () => {
  for (const { ports = [] } of Object.values(services))
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  expect(services.api?.environment?.JWT_SECRET).toMatch(/^\$\{JWT_SECRET:\?/);
});

function hasCompose(): boolean {
  try {
    execFileSync("docker", ["compose", "version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!hasCompose())("docker compose itself accepts the file", () => {
  const out = execFileSync("docker", ["compose", "config", "--services"], {
    cwd: ROOT,
    env: { ...process.env, JWT_SECRET: "x".repeat(32) },
  });
  expect(out.toString().split("\n").filter(Boolean).sort()).toEqual(Object.keys(services).sort());
});
