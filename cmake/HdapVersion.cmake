# Writes hdap/core/version.hpp with the version and the commit. Checked at every build, rewritten
# only when it changes, so a new commit recompiles one file.
set(HDAP_VERSION_HEADER "${PROJECT_BINARY_DIR}/include/hdap/core/version.hpp")
set(version_command ${CMAKE_COMMAND}
    -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DOUTPUT=${HDAP_VERSION_HEADER} -DVERSION=${PROJECT_VERSION}
    -P ${PROJECT_SOURCE_DIR}/cmake/write_version.cmake)
execute_process(COMMAND ${version_command})
add_custom_target(hdap_version COMMAND ${version_command} BYPRODUCTS ${HDAP_VERSION_HEADER}
                  COMMENT "Checking the commit")
cmake_language(DEFER CALL add_dependencies hdap_core hdap_version)
