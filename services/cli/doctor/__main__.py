"""`python -m services.cli.doctor`: the doctor where there is no command line of facemem, such as in containers.

docker compose run --rm doctor
"""

from services.cli.doctor.command import doctor

if __name__ == "__main__":
    doctor()
