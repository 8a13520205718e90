//! What is said about time: how long until there is room, until a bucket is full, until one's turn.

use crate::desk::Desk;

/// A desk with one limit.
fn with_limit(fields: &str) -> Desk {
    let mut desk = Desk::new("", &[]);
    desk.run(&format!("ratelimit add {fields}"));
    desk
}

#[test]
fn a_token_bucket_says_when_it_is_full_and_when_there_is_room() {
    let mut desk = with_limit("scope=service:github algorithm=token-bucket capacity=60 rate=60/1m");
    let request = "request service=github ip=203.0.113.9";
    assert_eq!(desk.answer(request), "allow   limit service:github   remaining 59/60   full in 1.0 s");
    desk.wait("250ms");
    assert_eq!(desk.answer(request), "allow   limit service:github   remaining 58/60   full in 1.8 s");
    assert_eq!(
        desk.answer("request service=github cost=58"),
        "allow   limit service:github   remaining 0/60   full in 59.8 s"
    );
    assert_eq!(desk.answer(request), "deny    limit service:github   remaining 0/60   retry in 750 ms");
    desk.wait("749ms");
    assert_eq!(desk.answer(request), "deny    limit service:github   remaining 0/60   retry in 1 ms");
    desk.wait("1ms");
    assert_eq!(desk.answer(request), "allow   limit service:github   remaining 0/60   full in 1 m 0 s");
    desk.wait("1h");
    assert_eq!(
        desk.answer("ratelimit try service=github"),
        "allow   limit service:github   remaining 60/60   full"
    );
    assert_eq!(
        desk.answer("request service=github cost=61"),
        "deny    limit service:github   cost-above-capacity   remaining 60/60   retry never"
    );
}

#[test]
fn a_leaky_queue_says_when_it_is_ones_turn() {
    let mut desk = with_limit("scope=service:llm algorithm=leaky-queue capacity=3 rate=1/2s");
    let request = "request service=llm";
    assert_eq!(desk.answer(request), "allow   limit service:llm   remaining 2/3   full in 2.0 s");
    assert_eq!(
        desk.answer(request),
        "delay   go on in 2.0 s   limit service:llm   remaining 1/3   full in 4.0 s"
    );
    assert_eq!(
        desk.answer(request),
        "delay   go on in 4.0 s   limit service:llm   remaining 0/3   full in 6.0 s"
    );
    assert_eq!(desk.answer(request), "deny    limit service:llm   remaining 0/3   retry in 2.0 s");
    desk.wait("1500ms");
    assert_eq!(desk.answer(request), "deny    limit service:llm   remaining 0/3   retry in 500 ms");
    desk.wait("500ms");
    let json = desk.answer("request service=llm --json");
    assert_eq!(
        json,
        "{\"verdict\":\"delay\",\"reason\":\"within-limits\",\"delay_ns\":4000000000,\"limit\":\"service:llm\",\
         \"overflow\":false,\"remaining\":0,\"capacity\":3,\"full_in_ns\":6000000000}"
    );
}

#[test]
fn a_window_by_the_clock_starts_again_on_the_minute() {
    let mut desk =
        with_limit("scope=user:* algorithm=fixed-window limit=2 window=1m align=clock name=a-minute");
    desk.wait("50s");
    assert_eq!(desk.answer("request user=ada"), "allow   limit a-minute   remaining 1/2   full in 10.0 s");
    assert_eq!(desk.answer("request user=ada"), "allow   limit a-minute   remaining 0/2   full in 10.0 s");
    desk.wait("9999ms");
    assert_eq!(desk.answer("request user=ada"), "deny    limit a-minute   remaining 0/2   retry in 1 ms");
    desk.wait("1ms");
    assert_eq!(desk.answer("request user=ada"), "allow   limit a-minute   remaining 1/2   full in 1 m 0 s");
}

#[test]
fn a_sliding_log_forgets_each_entry_at_its_own_time() {
    let mut desk =
        with_limit("scope=key:* algorithm=sliding-log limit=100 window=10s unit=tokens name=tokens");
    desk.run("request key=k1 tokens=60");
    desk.wait("4s");
    assert_eq!(
        desk.answer("request key=k1 tokens=40"),
        "allow   limit tokens   remaining 0/100   full in 10.0 s"
    );
    assert_eq!(
        desk.answer("request key=k1 tokens=60"),
        "deny    limit tokens   remaining 0/100   retry in 6.0 s"
    );
    assert_eq!(
        desk.answer("request key=k1 tokens=61"),
        "deny    limit tokens   remaining 0/100   retry in 10.0 s"
    );
    desk.wait("6s");
    assert_eq!(
        desk.answer("request key=k1 tokens=60"),
        "allow   limit tokens   remaining 0/100   full in 10.0 s"
    );
}

#[test]
fn of_several_refusals_the_longest_wait_speaks() {
    let mut desk = with_limit("scope=service:web algorithm=token-bucket capacity=1 rate=1/1m");
    desk.run("ratelimit add scope=user:ada algorithm=token-bucket capacity=1 rate=1/1h");
    desk.run("request service=web user=ada");
    assert_eq!(
        desk.answer("request service=web user=ada"),
        "deny    limit user:ada   remaining 0/1   retry in 1 h 0 m"
    );
    desk.wait("59m");
    assert_eq!(
        desk.answer("request service=web user=ada"),
        "deny    limit user:ada   remaining 0/1   retry in 1 m 0 s"
    );
    // The refused requests have charged nothing.
    assert_eq!(
        desk.answer("request service=web"),
        "allow   limit service:web   remaining 0/1   full in 1 m 0 s"
    );
}

#[test]
fn a_burst_ends_when_its_time_is_over() {
    let mut desk = with_limit("scope=service:web algorithm=token-bucket capacity=2 rate=1/1h");
    assert_eq!(desk.answer("ratelimit burst service:web extra=3 for=30s"), "service:web: 3 more for 30s");
    // When the burst ends, after 30 s, what was used beyond the capacity is forgiven: two are left to refill.
    assert_eq!(
        desk.answer("request service=web cost=4"),
        "allow   limit service:web   remaining 1/5   full in 2 h 1 m"
    );
    desk.wait("10s");
    let buckets = desk.run("ratelimit buckets");
    assert!(buckets.ends_with("+3 for 20.0 s\n"), "{buckets}");
    desk.wait("20s");
    assert!(desk.run("ratelimit buckets").ends_with("  -\n"));
    assert_eq!(
        desk.answer("request service=web cost=3"),
        "deny    limit service:web   cost-above-capacity   remaining 0/2   retry never"
    );
}

#[test]
fn a_change_keeps_what_was_used() {
    let mut desk = with_limit("scope=service:web algorithm=token-bucket capacity=10 rate=1/1m");
    desk.run("request service=web cost=4");
    desk.wait("30s");
    // Three and a half are in use, which counts as four.
    assert_eq!(
        desk.answer("ratelimit set service:web capacity=20 rate=1/1h"),
        "changed service:web: token-bucket 20 at 1/1h"
    );
    assert_eq!(
        desk.answer("ratelimit try service=web"),
        "allow   limit service:web   remaining 16/20   full in 4 h 0 m"
    );
    desk.run("ratelimit set service:web capacity=3");
    assert_eq!(
        desk.answer("request service=web"),
        "deny    limit service:web   remaining 0/3   retry in 1 h 0 m"
    );
}

#[test]
fn the_clocks_are_told() {
    let mut desk = Desk::new("", &[]);
    desk.wait("2h");
    desk.wait("1234567ns");
    assert_eq!(desk.answer("uptime"), "up 2 h 1 m");
    assert_eq!(desk.answer("date"), "2026-01-01T02:00:00.001Z");
    desk.system.has_wall_clock = false;
    assert_eq!(
        desk.answer("date"),
        "2026-01-01T02:00:00.001Z (the wall clock is not set and counts from 1970)"
    );
}
