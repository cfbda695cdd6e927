//! The fenced blocks of a Markdown page, and text between two marks in it.

/// A fenced block, with the comment right above it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The word after the opening fence.
    pub(crate) language: &'a str,
    /// The text between the fences, with the end of the last line.
    pub(crate) code: &'a str,
    /// The number of the opening fence's line.
    pub(crate) line: usize,
    /// The inside of the comment on the line above, or nothing.
    pub(crate) comment: &'a str,
}

/// The fenced blocks of a page, in their order. Indented blocks, as in lists, are left out.
pub(crate) fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block<'_>, usize)> = None;
    let mut before = "";
    let mut offset = 0;
    for (line, text) in (1..).zip(markdown.split_inclusive('\n')) {
        let words = text.trim_end();
        open = match open {
            Some((block, begin)) if words == FENCE => {
                blocks.push(Block { code: &markdown[begin..offset], ..block });
                None
            }
            None if words.starts_with(FENCE) => {
                let comment = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                let language = &words[FENCE.len()..];
                let block = Block { language, code: "", line, comment: comment.unwrap_or_default() };
                Some((block, offset + text.len()))
            }
            unchanged => unchanged,
        };
        before = words;
        offset += text.len();
    }
    blocks
}

/// The text with this between the two marks, if it has them.
pub(crate) fn between(text: &str, begin: &str, end: &str, content: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}{content}{end}{after}"))
}

const FENCE: &str = "```";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_found_with_its_comment() {
        let page = "a\n<!-- from x.rs -->\n```rust\nlet a;\n```\n\n```console\n$ b\n\nc\n```\n```\n```\n";
        let found = blocks(page);
        let expected = [
            Block { language: "rust", code: "let a;\n", line: 3, comment: "from x.rs" },
            Block { language: "console", code: "$ b\n\nc\n", line: 7, comment: "" },
            Block { language: "", code: "", line: 12, comment: "" },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn text_is_put_between_its_marks() {
        assert_eq!(between("a<old>b", "<", ">", "new").as_deref(), Some("a<new>b"));
        assert_eq!(between("no marks", "<", ">", "new"), None);
    }
}
