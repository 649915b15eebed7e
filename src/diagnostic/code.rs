//! What a code is made of. The codes themselves are rows of [`super::table`].

/// What there is to say of a code, whatever profile has it. Texts are wrapped, and have no blank line in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What it means, in one sentence.
    pub meaning: String,
    /// What it does on a node.
    pub why: String,
    /// How it is fixed.
    pub help: String,
}

impl Explanation {
    /// From a row's comment: three paragraphs, each line with a blank before it.
    pub(super) fn parse(comment: &str) -> Self {
        let text = comment.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let mut paragraphs = text.split("\n\n").map(str::to_owned);
        let mut next = || paragraphs.next().unwrap_or_default();
        Self { meaning: next(), why: next(), help: next() }
    }
}

/// Makes `Code` and `AREAS` from the table's rows. `name` and the others match each code: none can lack one.
macro_rules! codes {
    ($($area:literal: $title:literal {
        $($(#[doc = $line:literal])+ $severity:ident $variant:ident = $name:literal $(without $no_example:ident)?;)+
    })+) => {
        /// What is wrong: a stable name, for scripts and for the reference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($($(#[doc = $line])+ $variant,)+)+
        }

        /// All codes, in the order of the reference.
        pub const AREAS: &[Area] = &[$(Area { name: $area, title: $title, codes: &[$(Code::$variant),+] }),+];

        impl Code {
            /// In kebab-case, as messages show it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)+)+
                }
            }

            /// Whether a profile that has it can be compiled all the same.
            pub const fn severity(self) -> Severity {
                match self {
                    $($(Self::$variant => Severity::$severity,)+)+
                }
            }

            /// What it means, why it matters and how it is fixed.
            pub fn explanation(self) -> Explanation {
                Explanation::parse(match self {
                    $($(Self::$variant => concat!($($line, "\n"),+),)+)+
                })
            }

            /// A profile that has it, without the line that says so; `None` where nothing is left.
            pub fn example(self) -> Option<&'static str> {
                let text = match self {
                    $($(Self::$variant => example!($area, $name $(, $no_example)?),)+)+
                };
                let (_, profile) = text?.split_once('\n')?;
                Some(profile).filter(|profile| !profile.is_empty())
            }
        }
    };
}
pub(super) use codes;

/// The profile beside the test: `tests/diagnostics/AREA/CODE.yaml`.
macro_rules! example {
    ($area:literal, $name:literal) => {
        Some(include_str!(concat!("../../tests/diagnostics/", $area, "/", $name, ".yaml")))
    };
    ($area:literal, $name:literal, example) => {
        None::<&str>
    };
}
pub(super) use example;
