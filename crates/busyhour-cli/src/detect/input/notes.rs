//! What is to be said about the input besides its data.

/// Remarks in the order in which they came up; a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    remarks: Vec<String>,
    left_out: u64,
}

/// More remarks than anybody reads.
const MAX_REMARKS: usize = 200;

impl Notes {
    /// Something to know: what is not there, and what is lost for it.
    pub(super) fn add(&mut self, remark: &str) {
        self.push(format!("note: {remark}"));
    }

    /// Something that is wrong with the data, and what was done about it.
    pub(super) fn warn(&mut self, remark: &str) {
        self.push(format!("warning: {remark}"));
    }

    fn push(&mut self, remark: String) {
        if self.remarks.len() < MAX_REMARKS {
            self.remarks.push(remark);
        } else {
            self.left_out += 1;
        }
    }

    /// Gives the remarks out, one line each.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let mut remarks = std::mem::take(&mut self.remarks);
        if self.left_out > 0 {
            remarks.push(format!("warning: {} more remarks are not shown", self.left_out));
        }
        self.left_out = 0;
        remarks
    }
}
