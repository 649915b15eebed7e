//! Macros that define a word's type.

/// One of a few words: an enum that is read, written and described in the schema as words.
macro_rules! word_value {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(
                $(#[$variant_meta])*
                #[doc = concat!("\n\n`", $word, "`")]
                #[serde(rename = $word)]
                $variant
            ),*
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl $crate::yaml::Scalar for $name {
            fn expected() -> std::borrow::Cow<'static, str> {
                Self::ALL.iter().map(|one| format!("`{}`", one.as_str())).collect::<Vec<_>>().join(" or ").into()
            }
            fn parse(text: &str) -> Result<Self, String> {
                let meant = || $crate::diagnostic::closest(text, Self::ALL.iter().map(|one| one.as_str()));
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| match meant() {
                    Some(meant) => format!("`{text}` isn't one of the values; did you mean `{meant}`?"),
                    None => format!("`{text}` isn't one of the values"),
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        $crate::terms::schema!($name, { "enum": [$($word),*] });
    };
}

/// The JSON schema of a value, which is inlined in the profile's.
macro_rules! schema {
    ($type:ty, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

pub(crate) use {schema, word_value};
