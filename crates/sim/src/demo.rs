//! The demonstration log: twenty minutes of a small public service, made up and always the same.
//!
//! People read pages in bursts and chat; a crawler runs through the site for a few minutes; a nightly job
//! stores memories in two bursts; and the chat back end fails for a while, whereupon impatient clients
//! retry until it is back. Under the shipped limits (for each client chat 300, memory 100, everything else 200 a
//! minute) the crawler, the job and the retry storm, each from one address, are what is refused.
//!
//! The form is that of a combined access log. A line is written when its request ends, so times go back
//! now and then by a few seconds; a few lines are damaged, as in any real log.

use crate::random::Random;

/// The seed of the committed log.
pub const SEED: u64 = 0x57E1_2026;

/// How long the traffic lasts.
const LENGTH_MS: u64 = 20 * 60 * SECOND;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

const PAGES: [&str; 8] =
    ["/", "/docs/", "/docs/start", "/docs/limits", "/pricing", "/blog/", "/blog/queues", "/status"];
const ASSETS: [&str; 6] = [
    "/assets/site.css",
    "/assets/site.js",
    "/assets/logo.svg",
    "/assets/hero.webp",
    "/favicon.ico",
    "/assets/text.woff2",
];
const READERS: [&str; 4] = [
    "Lantern/14.2 (Linux x86_64) Wick/14",
    "Lantern/13.9 (Phone; small screen) Wick/13",
    "Heron/7.1 (Desktop; en) Plume/7.1",
    "Heron/7.0 (Tablet; de) Plume/7.0",
];
const USERS: [&str; 12] =
    ["ada", "brian", "chen", "dora", "emil", "fatima", "grace", "hugo", "ines", "jonas", "kofi", "lena"];
const CHAT: &str = "/api/v1/chat";
const MEMORY: &str = "/api/v1/memory";

/// One line, before all are put in order.
struct Entry {
    /// When the request arrived, in milliseconds from the beginning; this is what its line says.
    at_ms: u64,
    /// When its line was written.
    written_ms: u64,
    line: String,
}

/// What a line says beside its time.
struct Hit<'a> {
    ip: &'a str,
    user: &'a str,
    request: &'a str,
    status: u64,
    size: u64,
    referrer: &'a str,
    agent: &'a str,
}

/// The log that `seed` gives.
#[must_use]
pub fn log(seed: u64) -> String {
    let mut traffic = Traffic { random: Random::new(seed), entries: Vec::new() };
    traffic.readers();
    traffic.chats();
    traffic.memory_job();
    traffic.crawler();
    traffic.retry_storm();
    traffic.health_checks();
    traffic.oddities();
    traffic.written()
}

struct Traffic {
    random: Random,
    entries: Vec<Entry>,
}

impl Traffic {
    /// People who open a page, get what it is made of within a second, read, and go on.
    fn readers(&mut self) {
        for session in 0..110 {
            let ip = self.visitor(session);
            let agent = *self.random.pick(&READERS);
            let user = if self.random.chance(20) { *self.random.pick(&USERS) } else { "-" };
            let mut at = self.random.between(0, LENGTH_MS - MINUTE);
            let mut referrer = "-".to_owned();
            for _ in 0..self.random.between(2, 8) {
                let page = *self.random.pick(&PAGES);
                let status = if self.random.chance(4) { 404 } else { 200 };
                let size = self.random.between(4_000, 40_000);
                let hit = Hit { ip: &ip, user, request: page, status, size, referrer: &referrer, agent };
                self.hit(at, "GET", &hit);
                referrer = format!("https://www.example{page}");
                for _ in 0..self.random.between(1, 4) {
                    let asset = *self.random.pick(&ASSETS);
                    let (status, size) = if self.random.chance(30) {
                        (304, 0)
                    } else {
                        (200, self.random.between(800, 180_000))
                    };
                    let hit = Hit { ip: &ip, user, request: asset, status, size, referrer: &referrer, agent };
                    let soon = at + self.random.between(40, 900);
                    self.hit(soon, "GET", &hit);
                }
                at += self.random.between(2 * SECOND, 25 * SECOND);
            }
        }
    }

    /// People who talk to the assistant, which looks things up in its memory now and then.
    fn chats(&mut self) {
        for session in 0..70 {
            let ip = self.visitor(1000 + session);
            let user = *self.random.pick(&USERS);
            let mut at = self.random.between(0, LENGTH_MS - MINUTE);
            for turn in 0..self.random.between(6, 24) {
                let request = if turn == 0 { CHAT.to_owned() } else { format!("{CHAT}?turn={turn}") };
                let size = self.random.between(300, 9_000);
                let agent = "assist-web/3.4";
                let chat = Hit { ip: &ip, user, request: &request, status: 200, size, referrer: "-", agent };
                self.hit(at, "POST", &chat);
                if self.random.chance(40) {
                    let request = format!("{MEMORY}/search?k={}", self.random.between(3, 9));
                    let size = self.random.between(100, 2_500);
                    let search =
                        Hit { ip: &ip, user, request: &request, status: 200, size, referrer: "-", agent };
                    let soon = at + self.random.between(100, 700);
                    self.hit(soon, "GET", &search);
                }
                at += self.random.between(2 * SECOND, 12 * SECOND);
            }
        }
    }

    /// A job that stores what was learnt, all at once, twice.
    fn memory_job(&mut self) {
        for begin in [3 * MINUTE, 16 * MINUTE] {
            let mut at = begin;
            for item in 0..160 {
                let request = format!("{MEMORY}/items/{}", 40_000 + begin / SECOND + item);
                let size = self.random.between(60, 90);
                self.hit(
                    at,
                    "PUT",
                    &Hit {
                        ip: "198.51.100.20",
                        user: "archivist",
                        request: &request,
                        status: 201,
                        size,
                        referrer: "-",
                        agent: "memory-sync/0.8",
                    },
                );
                at += self.random.between(60, 140);
            }
        }
    }

    /// A crawler that takes seven pages a second.
    fn crawler(&mut self) {
        let mut at = 6 * MINUTE;
        while at < 7 * MINUTE + 50 * SECOND {
            let request = format!("/blog/archive?page={}", self.random.between(1, 4_000));
            let size = self.random.between(9_000, 30_000);
            self.hit(
                at,
                "GET",
                &Hit {
                    ip: "203.0.113.64",
                    user: "-",
                    request: &request,
                    status: 200,
                    size,
                    referrer: "-",
                    agent: "PageHound/0.9 (+https://hound.example/about)",
                },
            );
            at += self.random.between(80, 200);
        }
    }

    /// The chat back end fails for two minutes; each of the clients behind one gateway asks again about every two
    /// seconds.
    fn retry_storm(&mut self) {
        let (begin, end) = (12 * MINUTE, 14 * MINUTE);
        let ip = self.visitor(2001);
        for _ in 0..17 {
            let mut at = begin + self.random.between(0, 4 * SECOND);
            while at < end {
                self.hit(
                    at,
                    "POST",
                    &Hit {
                        ip: &ip,
                        user: "-",
                        request: CHAT,
                        status: 503,
                        size: 162,
                        referrer: "-",
                        agent: "chat-widget/1.0 (retry=now)",
                    },
                );
                at += self.random.between(SECOND, 3 * SECOND);
            }
        }
    }

    /// Two load balancers that ask every five seconds.
    fn health_checks(&mut self) {
        for (ip, offset) in [("192.0.2.2", 0), ("192.0.2.3", 2_300)] {
            let mut at = offset;
            while at < LENGTH_MS {
                self.hit(
                    at,
                    "GET",
                    &Hit {
                        ip,
                        user: "-",
                        request: "/healthz",
                        status: 200,
                        size: 2,
                        referrer: "-",
                        agent: "harbour-probe/2",
                    },
                );
                at += 5 * SECOND;
            }
        }
    }

    /// What every public log holds: someone speaking another protocol, an idle connection, damaged lines.
    fn oddities(&mut self) {
        let scan = format!(r#"203.0.113.200 - - [{}] "\x16\x03\x01\x02" 400 157 "-" "-""#, stamp(5 * MINUTE));
        let idle = format!(r#"192.0.2.77 - - [{}] "-" 408 - "-" "-""#, stamp(10 * MINUTE));
        let cut = format!("198.51.100.14 - dora [{}", &stamp(8 * MINUTE)[..15]);
        let bare = format!(r#"192.0.2.140 - - [{}] "GET /docs/ HTTP/1.1""#, stamp(15 * MINUTE));
        let lines = [
            (5 * MINUTE, scan),
            (8 * MINUTE, cut),
            (10 * MINUTE, idle),
            (13 * MINUTE, "warning: 211 messages were not written".to_owned()),
            (15 * MINUTE, bare),
        ];
        for (at, line) in lines {
            self.entries.push(Entry { at_ms: at, written_ms: at + SECOND, line });
        }
    }

    fn hit(&mut self, at_ms: u64, method: &str, hit: &Hit<'_>) {
        if at_ms >= LENGTH_MS {
            return;
        }
        let Hit { ip, user, request, status, size, referrer, agent } = hit;
        let time = stamp(at_ms);
        let line = format!(
            r#"{ip} - {user} [{time}] "{method} {request} HTTP/1.1" {status} {size} "{referrer}" "{agent}""#
        );
        let most = if self.random.chance(3) { 6 * SECOND } else { 800 };
        let written_ms = at_ms + self.random.between(1, most);
        self.entries.push(Entry { at_ms, written_ms, line });
    }

    /// An address of one of the ranges set aside for documentation; every fifth visitor has IPv6.
    fn visitor(&mut self, number: u64) -> String {
        let host = self.random.between(10, 250);
        match number % 5 {
            0 => format!("2001:db8:{:x}:{:x}::{host:x}", number % 7 + 1, number % 11),
            1 | 2 => format!("192.0.2.{host}"),
            3 => format!("198.51.100.{host}"),
            _ => format!("203.0.113.{host}"),
        }
    }

    fn written(mut self) -> String {
        self.entries.sort_by_key(|entry| (entry.written_ms, entry.at_ms));
        self.entries.into_iter().map(|entry| entry.line + "\n").collect()
    }
}

/// The time of a line, `14/Oct/2026:09:00:00 +0000` and `at_ms` milliseconds.
fn stamp(at_ms: u64) -> String {
    let seconds = at_ms / SECOND;
    format!("14/Oct/2026:{:02}:{:02}:{:02} +0000", 9 + seconds / 3600, seconds / 60 % 60, seconds % 60)
}
