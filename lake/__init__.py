"""What two processes of the platform must agree on, and nothing else.

Training, serving and proxy meet here and only here: table schemas, the input schema and its decoder, the model
package, the ledger of releases, parameters, credentials, the spool and the shipper.
"""
