//! What commands print. Who reads may go away before the end, as `head` does: then there is nobody to print for, and nothing
//! has failed.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process;

/// What shells call a program that SIGPIPE ended: what others do that print to a reader who is gone.
const NOBODY_READS: i32 = 128 + 13;

/// Standard output. Ends the program quietly when nobody reads it any more.
pub(crate) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_nobody_reads(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_nobody_reads(io::stdout().flush())
    }
}

fn unless_nobody_reads<T>(done: io::Result<T>) -> io::Result<T> {
    match done {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(NOBODY_READS),
        done => done,
    }
}

/// Prints a line: `say!("{count} are tried again")`.
macro_rules! say {
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}
pub(crate) use say;

/// What [`say`] does. A disk that is full fails the command.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if let Err(error) = Out.write_all(format!("{text}\n").as_bytes()) {
        crate::report(&anyhow::Error::new(error).context("cannot write to standard output"));
        process::exit(1);
    }
}
