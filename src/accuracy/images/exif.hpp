#pragma once

#include <cstdint>
#include <span>

namespace hdap::accuracy {

/// How an image must be turned to be upright, 1 (not at all) to 8, as the tag 0x0112 of EXIF data
/// says (CIPA DC-008; the data are a TIFF file). 1 as well where they say nothing or are damaged:
/// they are no part of the image, and viewers pass over them, too.
int exif_orientation(std::span<const std::uint8_t> tiff);

} // namespace hdap::accuracy
