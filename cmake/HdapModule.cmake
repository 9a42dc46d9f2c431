# Compiler options of everything that is ours.
add_library(hdap_options INTERFACE)
target_compile_options(hdap_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  # Fused multiply-adds would make results depend on how the compiler schedules a sum.
  -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of std::string's own operator+ (its bug 105651).
  target_compile_options(hdap_options INTERFACE -Wno-restrict)
endif()
if(HDAP_WARNINGS_AS_ERRORS)
  target_compile_options(hdap_options INTERFACE -Werror)
endif()
if(HDAP_AUDIT)
  target_compile_definitions(hdap_options INTERFACE HDAP_AUDIT _GLIBCXX_ASSERTIONS)
endif()
if(HDAP_SANITIZERS)
  target_compile_options(hdap_options INTERFACE -fsanitize=${HDAP_SANITIZERS}
                         -fno-omit-frame-pointer -fno-sanitize-recover=undefined
                         # needs type information that LibTorch's library does not export
                         -fno-sanitize=vptr)
  target_link_options(hdap_options INTERFACE -fsanitize=${HDAP_SANITIZERS})
endif()

set(HDAP_MODULES "")
set(HDAP_TORCH_SOURCES "")

# A shared library of ours. All lie in one folder, and each finds the others there.
function(hdap_library name)
  add_library(hdap_${name} SHARED ${ARGN})
  add_library(hdap::${name} ALIAS hdap_${name})
  set_target_properties(hdap_${name} PROPERTIES EXPORT_NAME ${name}
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib" BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN")
  target_include_directories(hdap_${name} PRIVATE "${PROJECT_SOURCE_DIR}/src" PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(hdap_${name} PRIVATE fmt::fmt $<BUILD_INTERFACE:hdap_options>)
  target_compile_features(hdap_${name} PUBLIC cxx_std_20)
endfunction()

# hdap_module(NAME [USES module...] [LINKS library...])
# makes the library hdap_NAME from src/NAME and the folders in it, all but *_torch.cpp.
function(hdap_module name)
  cmake_parse_arguments(MODULE "" "" "USES;LINKS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.cpp")
  set(torch_sources ${sources})
  list(FILTER sources EXCLUDE REGEX "_torch\\.cpp$")
  list(FILTER torch_sources INCLUDE REGEX "_torch\\.cpp$")
  hdap_library(${name} ${sources})
  list(TRANSFORM MODULE_USES PREPEND hdap_ OUTPUT_VARIABLE used)
  target_link_libraries(hdap_${name} PUBLIC ${used} PRIVATE ${MODULE_LINKS})
  set(HDAP_MODULES ${HDAP_MODULES} ${name} PARENT_SCOPE)
  set(HDAP_TORCH_SOURCES ${HDAP_TORCH_SOURCES} ${torch_sources} PARENT_SCOPE)
  set(HDAP_USES_${name} "${MODULE_USES}" CACHE INTERNAL "modules that ${name} may include")
endfunction()

# hdap_torch_library(library...)
# makes the library hdap_torch from the *_torch.cpp of all modules. LibTorch brings almost 300
# libraries, which take half a second to load; so no module links this one, and
# core::library_symbol loads it when it is needed. LibTorch's headers take the compiler far longer
# than what is in a file of ours, so these files of a folder are compiled as one.
function(hdap_torch_library)
  hdap_library(torch ${HDAP_TORCH_SOURCES})
  foreach(source IN LISTS HDAP_TORCH_SOURCES)
    get_filename_component(folder ${source} DIRECTORY)
    get_filename_component(folder ${folder} NAME)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder})
  endforeach()
  set_target_properties(hdap_torch PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_link_libraries(hdap_torch PRIVATE ${ARGN} hdap_libtorch)
endfunction()
