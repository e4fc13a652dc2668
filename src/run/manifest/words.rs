//! The fixed words of a manifest: what made a run, how far it got.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$what])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value, as it stands in the archive.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The value as it stands in the archive.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Which subcommand made a run.
    Kind {
        /// `halo-record benchmark`.
        Benchmark = "benchmark",
        /// `halo-record eval`.
        Eval = "eval",
        /// `halo-record run`.
        Run = "run",
    }
}

words! {
    /// How far a run got.
    State {
        /// The recording lasts, or halo was killed: only the lock tells.
        Running = "running",
        /// The command ended and its own output agrees that it succeeded.
        Complete = "complete",
        /// The command failed.
        Failed = "failed",
        /// The user or a signal ended the command.
        Cancelled = "cancelled",
        /// halo itself was killed or lost its power.
        Interrupted = "interrupted",
    }
}

words! {
    /// Whether results were found in the tool's output.
    Results {
        /// They were.
        Parsed = "parsed",
        /// The command is of no known tool, or gave none.
        None = "none",
        /// The output is there and could not be understood.
        Unparsed = "unparsed",
    }
}

words! {
    /// Where the samples of a run came from.
    Origin {
        /// halo sampled the machine meanwhile and wrote them at the end.
        Recorded = "recorded",
        /// They were saved from the journal of a run that was interrupted.
        Recovered = "recovered",
        /// Somebody else ran it; there are no samples.
        Imported = "imported",
    }
}
