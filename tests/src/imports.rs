//! Reads which modules a Rust file names, well enough to hold it to the import table of `docs/architecture.md`.

/// A path as the file uses it, from the crate's root: `["service", "pubsub", "Nodes"]`.
pub type Path = Vec<String>;

/// Every path below `crate::`, or relative by `super::`, that the code of the file at `module` names.
/// `module` is the file's own place: `["service", "pubsub"]`.
pub fn within_crate(code: &str, module: &[&str]) -> Vec<Path> {
    let mut paths = below(code, "crate::");
    for (at, _) in code.match_indices("super::") {
        // The first of several in a row stands for all of them.
        if is_path_start(code, at) {
            let tail = &code[at..];
            let levels = tail
                .split("super::")
                .take_while(|between| between.is_empty())
                .count();
            let rest = tail.trim_start_matches("super::");
            let Some(kept) = module.len().checked_sub(levels) else {
                continue;
            };
            for mut path in trees(rest) {
                let mut whole: Path = module[..kept].iter().map(|part| (*part).into()).collect();
                whole.append(&mut path);
                paths.push(whole);
            }
        }
    }
    paths
}

/// Every path below `prefix` (`leveret_engine::`) that the code names.
pub fn below(code: &str, prefix: &str) -> Vec<Path> {
    code.match_indices(prefix)
        .filter(|(at, _)| is_path_start(code, *at))
        .flat_map(|(at, _)| trees(&code[at + prefix.len()..]))
        .collect()
}

fn is_path_start(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
}

/// The paths of a use tree: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn trees(text: &str) -> Vec<Path> {
    let mut paths = Vec::new();
    tree(text, &mut Path::new(), &mut paths);
    paths
}

/// Reads one tree and gives what follows it.
fn tree<'a>(text: &'a str, path: &mut Path, paths: &mut Vec<Path>) -> &'a str {
    let depth = path.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let before = rest.len();
                rest = tree(rest, path, paths).trim_start();
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
                if rest.len() == before {
                    break; // Not a use tree after all.
                }
            }
            path.truncate(depth);
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let end = rest
            .find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '*'))
            .unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].into());
            rest = &rest[end..];
        }
        match rest.strip_prefix("::") {
            Some(next) if end > 0 => rest = next,
            _ => {
                if path.len() > depth {
                    paths.push(path.clone());
                }
                path.truncate(depth);
                let renamed = rest.trim_start();
                return match renamed.strip_prefix("as ") {
                    Some(alias) => {
                        alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
                    }
                    None => rest,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(paths: Vec<Path>) -> Vec<String> {
        paths.into_iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn groups_are_read_to_their_leaves() {
        let code =
            "use crate::{\n    a::B,\n    c::{d as e, f::*},\n    g,\n};\nlet x = crate::h::i();";
        assert_eq!(
            joined(within_crate(code, &["x"])),
            ["a::B", "c::d", "c::f::*", "g", "h::i"]
        );
    }

    #[test]
    fn super_counts_from_the_file() {
        let code = "use super::presence::Roster; use super::super::router::Router;";
        assert_eq!(
            joined(within_crate(code, &["service", "pubsub"])),
            ["service::presence::Roster", "router::Router"]
        );
    }

    #[test]
    fn other_crates_are_other_crates() {
        let code = "use leveret_engine::router::Router; use my_leveret_engine::x;";
        assert_eq!(joined(below(code, "leveret_engine::")), ["router::Router"]);
    }
}
