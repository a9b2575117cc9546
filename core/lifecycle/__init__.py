"""What people do with a model between two runs: label, agree, propose, decide, sign in; and what every run was."""
