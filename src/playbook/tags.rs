//! Which tasks `--tags` and `--skip-tags` select.

/// Returns whether a task with these tags runs. Empty `only` means all.
pub fn selected(task_tags: &[String], only: &[String], skip: &[String]) -> bool {
    fn has(list: &[String], word: &str) -> bool {
        list.iter().any(|t| t == word)
    }
    let untagged = task_tags.is_empty();
    let meets = |list: &[String]| {
        if untagged { has(list, "untagged") } else { task_tags.iter().any(|t| has(list, t)) }
    };
    let all = only.is_empty() || has(only, "all");
    let never = has(task_tags, "never");
    let runs = has(task_tags, "always")
        || (all && !never)
        || meets(only)
        || (has(only, "tagged") && !untagged && !never);
    if !runs || skip.is_empty() {
        return runs;
    }
    if has(skip, "all") {
        return has(task_tags, "always") && !has(skip, "always");
    }
    !(meets(skip) || (has(skip, "tagged") && !untagged))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn selects_as_ansible_does() {
        for (tags, only, skip, expect) in [
            ("", "", "", true),
            ("a", "", "", true),
            ("never", "", "", false),
            ("never", "all", "", false),
            ("never,a", "a", "", true),
            ("never,a", "tagged", "", false),
            ("never", "never", "", true),
            ("a", "b", "", false),
            ("a,b", "b", "", true),
            ("always", "b", "", true),
            ("always", "", "always", false),
            ("always", "b", "always", false),
            ("always,a", "", "a", false),
            ("", "tagged", "", false),
            ("a", "tagged", "", true),
            ("", "untagged", "", true),
            ("a", "untagged", "", false),
            ("always", "untagged", "", true),
            ("a", "", "a", false),
            ("a", "a", "a", false),
            ("", "", "untagged", false),
            ("", "", "tagged", true),
            ("a", "", "tagged", false),
            ("always", "", "all", true),
            ("a", "", "all", false),
            ("always", "", "all,always", false),
        ] {
            assert_eq!(
                selected(&list(tags), &list(only), &list(skip)),
                expect,
                "tags [{tags}] --tags [{only}] --skip-tags [{skip}]"
            );
        }
    }
}
