"""3D generators from folders of pictures (EG3D, EpiGRAF, 3DGP, Shen & Wang)."""
