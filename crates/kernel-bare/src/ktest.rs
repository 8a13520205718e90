//! The runner of on-target tests: a list of cases in one kernel, a line for each, and a last line that says
//! how many passed. A case fails by panicking, which ends the kernel with a failing status.

use core::fmt::Write;

use crate::Machine;
use crate::power::ExitCode;

/// A named test.
pub struct Case {
    /// Its name, for the behaviour that it protects.
    pub name: &'static str,
    /// The test.
    pub run: fn(&mut Machine),
}

/// Makes a binary a kernel that brings the machine up and runs each function as a [`Case`] named after it.
#[macro_export]
macro_rules! test_kernel {
    ($($name:ident),* $(,)?) => {
        $crate::kernel!(kernel_main);

        fn kernel_main(boot: &'static $crate::boot::BootInfo) -> ! {
            let cases = [$($crate::ktest::Case { name: stringify!($name), run: $name }),*];
            $crate::ktest::run($crate::init(boot), &cases)
        }
    };
}

/// Runs the cases whose name contains the option `opt/weir/filter` (all, without it) and ends the machine.
pub fn run(mut machine: Machine, cases: &[Case]) -> ! {
    let filter = machine.option("opt/weir/filter").unwrap_or(&[]);
    let filter = core::str::from_utf8(filter).unwrap_or("");
    let mut passed = 0;
    for case in cases.iter().filter(|case| case.name.contains(filter)) {
        say(&mut machine, format_args!("test {} ... ", case.name));
        (case.run)(&mut machine);
        say(&mut machine, format_args!("ok\n"));
        passed += 1;
    }
    finish(passed)
}

/// Says that `passed` cases passed and none failed, and ends the machine with success. It needs no [`Machine`],
/// so that a panic or exception handler can end a test that expects it.
pub fn finish(passed: usize) -> ! {
    let mut console = crate::serial::EmergencyConsole::new();
    let _ = writeln!(console, "{passed} passed, 0 failed");
    crate::power::exit(ExitCode::Success)
}

fn say(machine: &mut Machine, text: core::fmt::Arguments<'_>) {
    // The console cannot fail.
    let _ = machine.write_fmt(text);
}
