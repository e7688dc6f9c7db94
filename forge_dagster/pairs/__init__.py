"""What post-training learns from: questions with answers, and better answers beside worse ones."""
