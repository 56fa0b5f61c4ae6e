//! `vestibule codes`: makes access codes, in the form in which a room's settings name them.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};

use anyhow::Result;
use waiting_room::new_access_code;

use crate::cli::CodesArgs;
use crate::out::Out;

/// Prints as many different codes as were asked for.
pub(crate) fn run(arguments: &CodesArgs) -> Result<()> {
    let mut codes = BTreeSet::new();
    while codes.len() < usize::try_from(arguments.count)? {
        codes.insert(new_access_code());
    }
    let mut out = BufWriter::new(Out);
    for code in codes {
        match &arguments.lane {
            Some(lane) => writeln!(out, "{code},{lane}")?,
            None => writeln!(out, "{code}")?,
        }
    }
    Ok(out.flush()?)
}
