//! A secured byte stream to or from an endpoint, and the HTTP/2 connections upon it
