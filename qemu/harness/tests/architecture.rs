//! The rules of the house that a reader of `Cargo.toml` files could check, checked: who may depend on whom, where unsafe
//! code may be, and that nothing which needs a heap or an operating system reaches the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::kernel::repository;
use serde_json::Value;

/// What each member may use of the others, in its code; a member that is not here may not exist.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("governance", &[]),
    ("wire", &["governance"]),
    ("shell", &["governance", "wire"]),
    ("kernel-bare", &["governance", "wire", "shell"]),
    ("sim", &["governance", "wire", "shell"]),
    ("harness", &[]),
];
/// Members that none may use.
const LEAVES: [&str; 3] = ["kernel-bare", "sim", "harness"];
/// What touches the machine, and who may.
const MACHINE_CRATES: [&str; 4] = ["x86_64", "uart_16550", "spin", "bootloader_api"];
const MACHINE_MEMBER: &str = "kernel-bare";

struct Member {
    name: String,
    directory: PathBuf,
    /// The library's root file, where there is a library.
    library: Option<PathBuf>,
    /// Names of what its code and its build script use; development dependencies are not among them.
    uses: BTreeSet<String>,
    /// Names of what only its tests use.
    tests_use: BTreeSet<String>,
}

#[test]
fn dependencies_point_one_way() {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.into();
    let members = members();
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, rules.keys().copied().collect(), "each member has its rule");
    for member in &members {
        let allowed = rules[member.name.as_str()];
        for used in member.uses.iter().filter(|used| names.contains(used.as_str())) {
            assert!(allowed.contains(&used.as_str()), "{} uses {used}; allowed: {allowed:?}", member.name);
        }
        for used in member.tests_use.iter().chain(&member.uses) {
            assert!(!LEAVES.contains(&used.as_str()), "{} uses {used}, a leaf", member.name);
        }
    }
}

#[test]
fn only_the_kernel_names_the_machine() {
    for member in members().iter().filter(|member| member.name != MACHINE_MEMBER) {
        for used in member.uses.union(&member.tests_use) {
            assert!(!MACHINE_CRATES.contains(&used.as_str()), "{} uses {used}", member.name);
        }
    }
}

#[test]
fn every_library_but_the_kernel_forbids_unsafe_code() {
    for member in members().iter().filter(|member| member.name != MACHINE_MEMBER) {
        let Some(library) = &member.library else { continue };
        let source = fs::read_to_string(library).expect("the library's root");
        assert!(
            source.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]"),
            "{} does not forbid unsafe code",
            library.display()
        );
    }
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    for member in &members() {
        let manifest = fs::read_to_string(member.directory.join("Cargo.toml")).expect("a manifest");
        let lints = manifest.split("[lints]").nth(1).expect("a [lints] table").trim_start();
        assert!(lints.starts_with("workspace = true"), "{} has lints of its own", member.name);
    }
}

#[test]
fn nothing_in_the_kernel_needs_a_heap_or_an_operating_system() {
    let tree = cargo(&[
        "tree",
        "-p",
        MACHINE_MEMBER,
        "--target",
        "x86_64-unknown-none",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}|{f}",
    ]);
    let mut crates = 0;
    for line in tree.lines().filter(|line| !line.contains("(proc-macro)")) {
        let (package, features) = line.split_once('|').expect("the format that was asked for");
        crates += 1;
        for feature in features.trim_end_matches(" (*)").split(',') {
            assert!(!["std", "alloc"].contains(&feature), "{package} is built with {feature}");
        }
    }
    assert!(crates > MAY_USE.len(), "the tree of the kernel has more crates than ours: {tree}");
}

/// The workspace as cargo sees it.
fn members() -> Vec<Member> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(!packages.is_empty());
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let dependencies = |development: bool| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|it| (it["kind"] == "dev") == development).map(|it| text(&it["name"])).collect()
    };
    let targets = package["targets"].as_array().expect("targets");
    let library = targets.iter().find(|target| target["kind"][0] == "lib");
    Member {
        name: text(&package["name"]),
        directory: Path::new(&text(&package["manifest_path"])).parent().expect("a directory").to_owned(),
        library: library.map(|target| text(&target["src_path"]).into()),
        uses: dependencies(false),
        tests_use: dependencies(true),
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(arguments).current_dir(repository()).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
