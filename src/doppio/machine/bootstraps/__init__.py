"""What runs a function's handler inside an environment, a script a language. They import nothing of ours."""
