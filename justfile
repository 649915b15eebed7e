# Each recipe is a line of shell; CONTRIBUTING.md says when to use which.

_default:
    @just --list

# Formatting, lints, docs: minutes, and no privileges
check:
    scripts/check

# The Rust tests; `just test --test diagnostics` runs some
test *ARGS:
    cargo test --locked {{ ARGS }}

# Remake expected renderings, generated docs and examples/
bless:
    scripts/bless

# A bed on real parts, as root: `just bed cluster today`
bed NAME *ARGS:
    scripts/bed {{ NAME }} {{ ARGS }}

# The crate as it is published, without publishing it
crate:
    cargo package --locked

# A static binary with manual pages and completions, in dist/
package *ARGS:
    scripts/release {{ ARGS }}

# The docs as a site in target/book, with every link checked: needs mdBook
site:
    site/build.py
