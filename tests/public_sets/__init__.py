"""Small trees in the layouts of public sets, with the sets' own column names and order, and what must come of them."""
