//! The binary `headwater`: arguments in, answers and exit codes out.
//!
//! ```text
//! arguments → target (a project in process, or a running server) → commands/* → printer
//! ```
//!
//! Exit codes: 0 done, 1 something that the user can mend, 2 a fault of Headwater itself, 130
//! stopped by Ctrl-C. Not here: anything that a second client would need; that is in `server`.
#![expect(clippy::print_stderr, reason = "printing is what a command line does")]

mod arguments;
mod commands;
mod printer;
mod progress;
mod remote;
mod resident;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;
use crate::printer::Printer;

/// Work moves between threads, and glibc's allocator keeps what each of them once had, so that a node under
/// mixed load would hold several times what it uses.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new(&arguments.global);
    start_logging(&arguments.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start the runtime: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(run(arguments, &printer));
    // Work that cannot be cancelled (a file being written) must not keep the terminal.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

async fn run(arguments: Arguments, printer: &Printer) -> ExitCode {
    // `up` stops its server gracefully and so handles the signals itself.
    if arguments.command.handles_signals() {
        return printer.exit(commands::run(arguments, printer).await);
    }
    tokio::select! {
        result = commands::run(arguments, printer) => printer.exit(result),
        _ = tokio::signal::ctrl_c() => {
            eprintln!("stopped: what was acknowledged is kept, nothing is half done; run the same command to go on");
            ExitCode::from(130)
        }
    }
}

fn start_logging(global: &arguments::Global) {
    let filter = tracing_subscriber::EnvFilter::try_new(&global.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if global.json { builder.json().init() } else { builder.with_target(false).init() }
}
