//! The fenced blocks of a Markdown page.

/// A fenced block, and what stands right above it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// The word after the opening fence.
    pub(crate) language: &'a str,
    /// What is between the fences, with the last line's end.
    pub(crate) code: &'a str,
    /// The number of the opening fence's line.
    pub(crate) line: usize,
    /// The inside of the comment on the line above, or nothing.
    pub(crate) comment: &'a str,
}

/// The fenced blocks of a page, in their order. Blocks that are indented, as in lists, are none.
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

const FENCE: &str = "```";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_block_and_what_stands_above() {
        let page = "a\n<!-- from x.rs -->\n```rust\nlet a;\n```\n\n```console\n$ b\n\nc\n```\n```\n```\n";
        let found = blocks(page);
        let expected = [
            Block { language: "rust", code: "let a;\n", line: 3, comment: "from x.rs" },
            Block { language: "console", code: "$ b\n\nc\n", line: 7, comment: "" },
            Block { language: "", code: "", line: 12, comment: "" },
        ];
        assert_eq!(found, expected);
    }
}
