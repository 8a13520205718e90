//! Passes the kernel's linker script to binaries and on-target tests, and to nothing that runs on the host.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let directory = env!("CARGO_MANIFEST_DIR");
    for kind in ["bins", "tests"] {
        println!("cargo::rustc-link-arg-{kind}=-T{directory}/link.ld");
        println!("cargo::rustc-link-arg-{kind}=-zmax-page-size=4096");
    }
}
