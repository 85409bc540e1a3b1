"""What is measured: each benchmark is one module here, and every figure stands beside a reference of the same run."""
