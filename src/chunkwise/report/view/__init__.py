"""An image and its labels as one page to browse: moved, zoomed and clicked, without any address outside it."""
