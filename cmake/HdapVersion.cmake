# Writes hdap/core/version.hpp with the version, the commit and the libraries that results depend on
# or are exchanged by. Checked at every build, rewritten
# only when it changes, so a new commit recompiles one file.
set(HDAP_VERSION_HEADER "${PROJECT_BINARY_DIR}/include/hdap/core/version.hpp")
string(REGEX MATCH "^[^,]*" mpi_version "${MPI_CXX_LIBRARY_VERSION_STRING}")
set(libraries "LibTorch ${Torch_VERSION}, XGBoost ${xgboost_VERSION}, HDF5 ${HDF5_VERSION}")
string(APPEND libraries ", Eigen ${Eigen3_VERSION}, ${mpi_version}")
set(version_command ${CMAKE_COMMAND}
    -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DOUTPUT=${HDAP_VERSION_HEADER} -DVERSION=${PROJECT_VERSION}
    -DLIBRARIES=${libraries}
    -P ${PROJECT_SOURCE_DIR}/cmake/write_version.cmake)
execute_process(COMMAND ${version_command})
add_custom_target(hdap_version COMMAND ${version_command} BYPRODUCTS ${HDAP_VERSION_HEADER}
                  COMMENT "Checking the commit" VERBATIM)
cmake_language(DEFER CALL add_dependencies hdap_core hdap_version)
