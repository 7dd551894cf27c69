// better-auth's organization plugin behind node:http: `node better_auth.mjs`, or `… migrate` to make its tables. It
// prints its address when it listens. The database stands in DATABASE, a file of SQLite's or a URL of PostgreSQL's.
// Limits that would refuse the measured work are lifted; nothing else is changed.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { organization } from "better-auth/plugins";
import Database from "better-sqlite3";
import { createServer } from "node:http";
import pg from "pg";

function sqlite(path) {
  const db = new Database(path, { timeout: 5000 });
  const pragmas = ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"];
  for (const pragma of [...pragmas, "mmap_size = 268435456"]) {
    db.pragma(pragma);
  }
  return db;
}

const where = process.env.DATABASE;
const auth = betterAuth({
  database: where.startsWith("postgresql://") ? new pg.Pool({ connectionString: where, max: 20 }) : sqlite(where),
  baseURL: "http://127.0.0.1",
  secret: process.env.SECRET,
  logger: { level: "error" },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [
    organization({
      membershipLimit: 1_000_000,
      invitationLimit: 1_000_000,
      sendInvitationEmail: async () => {},
    }),
  ],
});

if (process.argv[2] === "migrate") {
  const { runMigrations } = await getMigrations(auth.options);
  await runMigrations();
  process.exit();
} else {
  const server = createServer(toNodeHandler(auth));
  // Node closes connections that it finds idle after having been busy for longer than this itself; 5 s by default.
  server.keepAliveTimeout = 75_000;
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
}
