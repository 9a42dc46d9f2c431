#pragma once

#include "hdap/accuracy/image_folder.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// A file that should be an image of a class.
struct ImagePath {
    std::int32_t label = 0;
    std::string path; ///< in the folder that is packed
};

/// What a folder of images holds.
struct FolderListing {
    std::vector<std::string> classes; ///< in the order of the bytes of their names
    std::vector<ImagePath> train;     ///< in the order of class and path
    std::vector<ImagePath> test;
    std::string test_folder;           ///< of the test images; empty where they were split off
    std::vector<std::string> warnings; ///< a line for each kind of what was left out or is odd
};

/// Lists the images of `folder` as pack_image_folder describes it, and splits them where the
/// parameters say so. The same whatever the order in which the file system tells names.
/// Throws UsageError where a split does not fit the folder, DataError as pack_image_folder does.
FolderListing list_image_folder(const std::filesystem::path& folder,
                                const ImageFolderParameters& parameters);

/// "a, b, c and 7 more", without control characters; the first ten.
std::string some_of(const std::vector<std::string>& names);

} // namespace hdap::accuracy
