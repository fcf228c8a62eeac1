import { connect, type Socket } from "node:net";
import type { SMTPServerOptions } from "smtp-server";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Channel } from "../../src/notifications/channel.ts";
import { createEmailChannel } from "../../src/notifications/email.ts";
import { Secret } from "../../src/secret.ts";
import { selfSigned } from "../carriers/selfSigned.ts";
import { until } from "../helpers/until.ts";
import { reply, startMailServer, startRawServer } from "./mailServer.ts";
import { messageOf, newsOf } from "./newsOf.ts";

/** A header is one line, however it was broken on its way (RFC 5322, 2.2.3). */
const unfold = (line: string) => line.replaceAll(/\r?\n\s+/g, " ").replaceAll(/\s+/g, " ");

const NEVER = new AbortController().signal;

function channelTo(
  port: number,
  options: {
    url?: string;
    publicUrl?: string | null;
    from?: string;
    whole?: number;
  } = {},
): Channel {
  const channel = createEmailChannel(
    {
      smtpUrl: new Secret(options.url ?? `smtp://127.0.0.1:${port}`),
      from: options.from ?? "Bookpost <bookpost@shop.example>",
      publicUrl: options.publicUrl === undefined ? "https://b.example.org" : options.publicUrl,
    },
    { whole: options.whole },
  );
  onTestFinished(() => channel.close());
  return channel;
}

describe("a mail that arrives", () => {
  test("has both parts, its sender, one recipient and the headers of an automatic mail", async () => {
    const server = await startMailServer();
    const result = await channelTo(server.port).send(messageOf(), NEVER);
    expect(result).toEqual({
      outcome: "sent",
      providerId: "<00000000-0000-4000-8000-0000000000dd@shop.example>",
    });
    const [mail] = server.mails;
    expect(server.recipients).toEqual(["ada@example.org"]);
    expect(mail?.subject).toBe("Your book 'Dune' is now: out for delivery");
    expect(mail?.text).toContain("On vehicle");
    expect(mail?.html).toContain("<h2");
    expect(mail?.from?.text).toBe('"Bookpost" <bookpost@shop.example>');
    expect(mail?.messageId).toBe("<00000000-0000-4000-8000-0000000000dd@shop.example>");
    expect(mail?.references).toBe("<parcel.00000000-0000-4000-8000-0000000000aa@shop.example>");
    expect(mail?.date).toBeInstanceOf(Date);
    expect(mail?.headers.get("auto-submitted")).toBe("auto-generated");
    const lines = mail?.headerLines.map(({ line }) => unfold(line)) ?? [];
    expect(lines).toContain(
      "List-Unsubscribe: <https://b.example.org/unsubscribe/00000000-0000-4000-8000-0000000000ff>",
    );
    expect(lines).toContain("List-Unsubscribe-Post: List-Unsubscribe=One-Click");
  });

  test("names the sender's address to unsubscribe where the server is not public", async () => {
    const server = await startMailServer();
    await channelTo(server.port, { publicUrl: null }).send(messageOf(), NEVER);
    const lines = server.mails[0]?.headerLines.map(({ line }) => unfold(line)) ?? [];
    expect(lines).toContain("List-Unsubscribe: <mailto:bookpost@shop.example?subject=unsubscribe>");
    expect(lines.join("\n")).not.toContain("One-Click");
  });

  test("goes to one person only and has no header more, whatever her name, the title and the carrier say", async () => {
    const server = await startMailServer();
    const evil = "x\r\nBcc: victim@evil.com, <victim@evil.com>";
    const message = messageOf({
      person: { name: evil },
      news: [newsOf({ title: evil, detail: evil })],
    });
    await channelTo(server.port).send(message, NEVER);
    expect(server.recipients).toEqual(["ada@example.org"]);
    expect(server.mails[0]?.headers.has("bcc")).toBe(false);
    expect(server.mails[0]?.to).toMatchObject({ value: [{ address: "ada@example.org" }] });
    expect(`${server.mails[0]?.text}${server.mails[0]?.html}`).not.toContain("evil.com");
  });
});

describe("what the server answers decides", () => {
  const at = (
    stage: "onMailFrom" | "onRcptTo" | "onAuth" | "onData",
    code: number,
    text: string,
  ): SMTPServerOptions => {
    const error = reply(code, text);
    if (stage === "onData")
      return {
        onData(stream, _session, done) {
          stream.resume().on("end", () => done(error));
        },
      };
    return {
      [stage]: (_what: unknown, _session: unknown, done: (error: Error) => void) => done(error),
    };
  };

  test.each([
    ["misconfigured", at("onAuth", 535, "5.7.8 bad credentials")],
    ["unavailable", at("onAuth", 454, "4.7.0 temporary")],
    ["misconfigured", at("onMailFrom", 550, "5.7.1 sender refused")],
    ["misconfigured", at("onMailFrom", 530, "5.7.0 log in first")],
    ["deferred", at("onMailFrom", 451, "4.3.0 later")],
    ["unavailable", at("onMailFrom", 421, "4.3.2 closing")],
    ["no_such_address", at("onRcptTo", 550, "5.1.1 <ada@example.org> unknown, user Ada")],
    ["no_such_address", at("onRcptTo", 550, "no such user ada@example.org")],
    ["no_such_address", at("onRcptTo", 551, "user not local")],
    ["no_such_address", at("onRcptTo", 553, "5.1.3 bad mailbox name")],
    ["refused", at("onRcptTo", 550, "5.7.1 blocked by policy")],
    ["refused", at("onRcptTo", 554, "5.7.1 relay access denied")],
    ["refused", at("onRcptTo", 552, "5.2.2 over quota")],
    ["misconfigured", at("onRcptTo", 530, "5.7.0 log in first")],
    ["misconfigured", at("onRcptTo", 553, "5.1.8 bad sender")],
    ["deferred", at("onRcptTo", 450, "4.2.0 greylisted")],
    ["deferred", at("onRcptTo", 451, "4.7.1 greylisted")],
    ["deferred", at("onRcptTo", 452, "4.2.2 mailbox full")],
    ["unavailable", at("onRcptTo", 421, "4.7.0 too many")],
    ["refused", at("onData", 552, "5.3.4 too big")],
    ["refused", at("onData", 554, "5.7.1 spam from ada@example.org")],
    ["deferred", at("onData", 451, "4.3.0 later")],
    ["unavailable", at("onData", 421, "4.3.0 closing")],
  ] as const)("%s: %#", async (outcome, options) => {
    const server = await startMailServer(options);
    const url = `smtp://${"onAuth" in options ? "user:word@" : ""}127.0.0.1:${server.port}`;
    const result = await channelTo(server.port, { url }).send(messageOf(), NEVER);
    expect(result).toMatchObject({ outcome });
    // Neither the address nor the name before its @.
    expect(JSON.stringify(result)).not.toMatch(/@|\bada\b/i);
  });
});

describe("a server that is not well", () => {
  const greet = (socket: Socket, replies: (line: string) => string | null) => {
    socket.write("220 hello\r\n");
    socket.on("data", (data) => {
      for (const line of String(data).split("\r\n").filter(Boolean)) {
        const answer = replies(line);
        if (answer !== null) socket.write(`${answer}\r\n`);
      }
    });
  };

  test("and says 421 or 554 instead of hello is unavailable", async () => {
    for (const greeting of ["421 busy", "554 no service"]) {
      const { port } = await startRawServer((socket) => socket.end(`${greeting}\r\n`));
      expect(await channelTo(port).send(messageOf(), NEVER)).toMatchObject({
        outcome: "unavailable",
      });
    }
  });

  test("and closes without a word is unavailable", async () => {
    const { port } = await startRawServer((socket) => socket.end());
    expect(await channelTo(port).send(messageOf(), NEVER)).toMatchObject({
      outcome: "unavailable",
    });
  });

  test("and is not there is unavailable, and one whose name nobody knows is our trouble", async () => {
    const server = await startRawServer(() => {});
    const refused = channelTo(0, { url: "smtp://127.0.0.1:1" });
    expect(await refused.send(messageOf(), NEVER)).toMatchObject({ outcome: "unavailable" });
    const unknown = channelTo(server.port, { url: "smtp://nowhere.invalid:25" });
    expect(await unknown.send(messageOf(), NEVER)).toMatchObject({ outcome: "local" });
  });

  test("and trickles or hangs is given up when the time of a message is over", async () => {
    for (const talk of [
      () => {},
      (socket: Socket) =>
        greet(socket, (line) => {
          if (!line.startsWith("EHLO")) return null;
          const timer = setInterval(() => socket.write("250-still here\r\n"), 20);
          socket.on("close", () => clearInterval(timer));
          return null;
        }),
    ]) {
      const { port } = await startRawServer(talk);
      expect(await channelTo(port, { whole: 300 }).send(messageOf(), NEVER)).toMatchObject({
        outcome: "unavailable",
        error: "The mail server did not finish within 0.3 seconds.",
      });
    }
  });

  test("and breaks off after the text leaves us in doubt, and was sent the text once", async () => {
    let texts = 0;
    let cut = () => {};
    const server = await startMailServer({
      onData(stream) {
        stream.resume().on("end", () => {
          texts++;
          cut();
        });
      },
    });
    const { port } = await startRawServer((socket) => {
      const other = connect(server.port, "127.0.0.1");
      other.on("error", () => {});
      socket.pipe(other);
      other.pipe(socket);
      cut = () => {
        socket.destroy();
        other.destroy();
      };
    });
    expect(await channelTo(port).send(messageOf(), NEVER)).toMatchObject({
      outcome: "unanswered",
    });
    expect(texts).toBe(1);
  });

  test("and has a certificate that nobody vouches for is unavailable, and learns nothing", async () => {
    const server = await startMailServer({ secure: true, ...selfSigned() });
    const channel = channelTo(server.port, { url: `smtps://localhost:${server.port}` });
    expect(await channel.send(messageOf(), NEVER)).toMatchObject({ outcome: "unavailable" });
    expect(server.recipients).toEqual([]);
  });
});

describe("connections", () => {
  test("are used again, and end when the channel closes", async () => {
    const server = await startMailServer();
    const channel = channelTo(server.port);
    for (let n = 0; n < 3; n++) await channel.send(messageOf(), NEVER);
    expect(server.mails).toHaveLength(3);
    expect(server.connections.opened).toBe(1);
    await channel.close();
    await until("it has hung up", async () => server.connections.open === 0);
  });

  test("that the server drops between two messages are opened anew, and each message arrives once", async () => {
    const server = await startMailServer();
    let mails = 0;
    const { port } = await startRawServer((socket) => {
      const other = connect(server.port, "127.0.0.1");
      other.on("error", () => {});
      other.pipe(socket);
      // A mail server waits half a minute for who is still there when it closes.
      socket.on("close", () => other.destroy());
      socket.on("data", (data) => {
        if (String(data).startsWith("MAIL FROM") && ++mails === 2) {
          socket.destroy();
          other.destroy();
        } else other.write(data);
      });
    });
    const channel = channelTo(port);
    expect((await channel.send(messageOf(), NEVER)).outcome).toBe("sent");
    expect((await channel.send(messageOf(), NEVER)).outcome).toBe("sent");
    expect(mails).toBe(3);
    expect(server.mails).toHaveLength(2);
  });

  test("serve the next message after a recipient was refused", async () => {
    let isFirst = true;
    const server = await startMailServer({
      onRcptTo(_address, _session, done) {
        done(isFirst ? reply(550, "5.1.1 unknown") : null);
        isFirst = false;
      },
    });
    const channel = channelTo(server.port);
    expect((await channel.send(messageOf(), NEVER)).outcome).toBe("no_such_address");
    expect((await channel.send(messageOf(), NEVER)).outcome).toBe("sent");
    expect(server.mails).toHaveLength(1);
  });
});

describe("a stop", () => {
  test("before anything went out is local", async () => {
    const stop = new AbortController();
    const { port } = await startRawServer(() => stop.abort());
    expect((await channelTo(port).send(messageOf(), stop.signal)).outcome).toBe("local");
    expect((await channelTo(port).send(messageOf(), stop.signal)).outcome).toBe("local");
  });

  test("after the text has begun waits for the reply", async () => {
    const stop = new AbortController();
    const server = await startMailServer({
      onData(stream, _session, done) {
        stream.resume().on("end", () => {
          stop.abort();
          setImmediate(() => done());
        });
      },
    });
    expect((await channelTo(server.port).send(messageOf(), stop.signal)).outcome).toBe("sent");
  });
});

test("a person without an address is refused without asking anybody", async () => {
  const { port } = await startRawServer(() => {});
  const message = messageOf({ person: { email: null } });
  expect((await channelTo(port).send(message, NEVER)).outcome).toBe("refused");
});
