//! Facts under headings, with their names in a column.

use std::fmt;

use super::style::{dim, strong};

/// A heading with facts and further headings below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    title: String,
    branches: Vec<Branch>,
}

#[derive(Debug, Clone)]
enum Branch {
    Fact { name: String, value: String },
    Line(String),
    Tree(Tree),
}

impl Tree {
    /// A heading.
    pub(crate) fn new(title: impl fmt::Display) -> Self {
        Self { title: title.to_string(), branches: Vec::new() }
    }

    /// Adds a fact.
    pub(crate) fn fact(&mut self, name: impl Into<String>, value: impl fmt::Display) -> &mut Self {
        self.branches.push(Branch::Fact { name: name.into(), value: value.to_string() });
        self
    }

    /// Adds a line without a name.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> &mut Self {
        self.branches.push(Branch::Line(text.to_string()));
        self
    }

    /// Adds a heading below this one.
    pub(crate) fn tree(&mut self, tree: Self) -> &mut Self {
        self.branches.push(Branch::Tree(tree));
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        let names = self.branches.iter().filter_map(|branch| match branch {
            Branch::Fact { name, .. } => Some(name.chars().count()),
            _ => None,
        });
        let column = names.max().unwrap_or(0);
        for (n, branch) in self.branches.iter().enumerate() {
            let last = n + 1 == self.branches.len();
            let (knee, rail) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            write!(f, "\n{}", dim(format_args!("{indent}{knee}")))?;
            let indent = format!("{indent}{rail}");
            match branch {
                Branch::Fact { name, value } => {
                    let mut lines = value.lines();
                    write!(f, "{}  {}", dim(format_args!("{name:column$}")), lines.next().unwrap_or(""))?;
                    for line in lines {
                        write!(f, "\n{}{:column$}  {line}", dim(&indent), "")?;
                    }
                }
                Branch::Line(text) => f.write_str(text)?,
                Branch::Tree(tree) => {
                    f.write_str(&strong(&tree.title))?;
                    tree.write(f, &indent)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&strong(&self.title))?;
        self.write(f, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_a_column() {
        let mut inner = Tree::new("inner");
        inner.fact("a", 1).fact("long", "two\nlines");
        let mut tree = Tree::new("outer");
        tree.tree(inner).line("last");
        let plain = anstream::adapter::strip_str(&tree.to_string()).to_string();
        assert_eq!(plain, "outer\n├─ inner\n│  ├─ a     1\n│  └─ long  two\n│           lines\n└─ last");
    }
}
