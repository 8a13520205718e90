//! Bans, from the first to the last.

use crate::desk::Desk;

fn desk() -> Desk {
    Desk::new("", &[])
}

#[test]
fn a_ban_that_was_disabled_or_changed_is_one_again() {
    let mut desk = desk();
    desk.run("ratelimit ban user:eve");
    let denied = "deny    limit user:eve#ban   banned   retry never";
    assert_eq!(desk.answer("request user=eve"), denied);
    for change in [
        "ratelimit disable user:eve#ban",
        "ratelimit set user:eve#ban algorithm=token-bucket capacity=5 rate=1/1h",
    ] {
        desk.run(change);
        assert!(desk.answer("request user=eve").starts_with("allow "), "{change}");
        assert_eq!(
            desk.answer("ratelimit ban user:eve"),
            "banned user:eve; ratelimit unban user:eve lifts it"
        );
        assert_eq!(desk.answer("request user=eve"), denied, "{change}");
    }
    let (_, output) = desk.try_run("ratelimit ban user:eve");
    assert_eq!(output, "error: user:eve is banned already\n");
}

#[test]
fn a_ban_of_everyone_says_what_takes_its_place() {
    let mut desk = desk();
    desk.run("ratelimit add scope=ip:192.0.2.1 algorithm=token-bucket capacity=5 rate=1/1h");
    assert_eq!(
        desk.run("ratelimit ban ip:*"),
        "banned ip:*; ratelimit unban ip:* lifts it\nany ip that has a limit of its own goes by that limit instead\n"
    );
    assert!(desk.answer("request ip=192.0.2.1").starts_with("allow "));
    assert!(desk.answer("request ip=192.0.2.2").starts_with("deny "));
}
