"""What Galaxy exports of a run of a workflow, and the one crate made of it and of our records."""
