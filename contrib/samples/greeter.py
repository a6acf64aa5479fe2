"""The code of a repository; the quickstart changes the greeting without committing it."""

GREETING = "committed"

if __name__ == "__main__":
    print("greeting:", GREETING)
